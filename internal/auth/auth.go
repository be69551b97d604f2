// Package auth says who a client is and what it may do: static bearer tokens from a file, each with its roles.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net"
	"strings"
)

// Role is something that a client may do.
type Role string

// The roles. RoleAdmin includes the others.
const (
	RoleWrite Role = "write" // store events and notifications
	RoleRead  Role = "read"  // read events, notifications and dead letters
	RoleAdmin Role = "admin" // everything, changes of dead letters included
)

// AllRoles are the roles that exist.
var AllRoles = []Role{RoleWrite, RoleRead, RoleAdmin}

// Client is who holds a token.
type Client struct {
	// Name is what the file calls the client, 1 to 100 characters of printable ASCII.
	Name  string
	roles []Role
}

// May reports whether the client has the role.
func (c *Client) May(role Role) bool {
	for _, r := range c.roles {
		if r == role || r == RoleAdmin {
			return true
		}
	}
	return false
}

// Hash is the SHA-256 of a token, which stands in the file in its place.
type Hash [sha256.Size]byte

// String returns 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// tokenPrefix begins every token that NewToken makes, so that programs which look for leaked secrets find them.
const tokenPrefix = "dst_"

// NewToken returns a random token of 256 bits and its hash. The token is for the client alone; nothing here keeps it.
func NewToken() (string, Hash) {
	var secret [32]byte
	rand.Read(secret[:])
	token := tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	return token, HashOf(token)
}

// HashOf returns the hash of a token. A plain SHA-256 is enough for a token that is random; it is not for a password.
func HashOf(token string) Hash { return sha256.Sum256([]byte(token)) }

// tokens is what a file holds. It does not change.
type tokens struct {
	entries []entry
}

type entry struct {
	hash   Hash
	client Client
}

// find returns the client that a token belongs to, nil when there is none. It takes the same time whichever entry it is.
func (t *tokens) find(token string) *Client {
	hash := HashOf(token)
	found := -1
	for i := range t.entries {
		equal := subtle.ConstantTimeCompare(hash[:], t.entries[i].hash[:])
		found = subtle.ConstantTimeSelect(equal, i, found)
	}
	if found < 0 {
		return nil
	}
	return &t.entries[found].client
}

// BearerToken returns the token of an Authorization header, "" when it is no bearer token.
func BearerToken(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.Trim(token, " ")
}

// IsLoopback reports whether only this machine can connect to a listener of that address.
func IsLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

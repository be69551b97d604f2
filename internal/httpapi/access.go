package httpapi

import (
	"net"
	"net/http"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/auth"
)

// Clients knows the holders of bearer tokens.
type Clients interface {
	// Client returns who holds a token, nil when nobody does. It may be called concurrently.
	Client(token string) *auth.Client
}

// Access says who may call the API. The zero value lets everybody read and write, and nobody administrate.
type Access struct {
	// Clients are the holders of tokens. With nil there are no tokens: everybody may read and write.
	Clients Clients
	// Local says that only this machine can connect. Without tokens, it may then administrate, too.
	Local bool
}

// open is the role of routes that everybody may call.
const open auth.Role = ""

// authorize decides whether the request may be answered by a route that needs the role. It names the client.
func (s *Server) authorize(c *call, need auth.Role) error {
	if need == open {
		return nil
	}
	if s.cfg.Access.Clients == nil {
		return s.authorizeAnyone(c, need)
	}
	header := c.Header["Authorization"]
	if len(header) == 0 {
		return unauthenticated(c, "this needs a bearer token in the header Authorization")
	}
	token := auth.BearerToken(header[0])
	if token == "" || len(header) > 1 {
		return unauthenticated(c, "the header Authorization must be given once, as Bearer and a token")
	}
	client := s.cfg.Access.Clients.Client(token)
	if client == nil {
		return unauthenticated(c, "the bearer token is not known to this server")
	}
	c.client = client.Name
	if !client.May(need) {
		return datastorage.Errorf(datastorage.CodePermissionDenied, "this needs a token with the role %s, which that of %s does not have", need, client.Name)
	}
	return nil
}

func unauthenticated(c *call, detail string) error {
	c.w.Header().Set("WWW-Authenticate", "Bearer")
	return datastorage.Errorf(datastorage.CodeUnauthenticated, "%s", detail)
}

// authorizeAnyone is authorize on a server without tokens.
func (s *Server) authorizeAnyone(c *call, need auth.Role) error {
	switch {
	case need != auth.RoleAdmin:
		return nil
	case !s.cfg.Access.Local:
		return datastorage.Errorf(datastorage.CodePermissionDenied,
			"this needs a bearer token with the role admin, and the server has no tokens: set auth.tokens_file, or let it listen on a loopback address alone")
	case !isFromHere(c.Request):
		return datastorage.Errorf(datastorage.CodePermissionDenied,
			"without tokens, only a program on the server's own machine may do this, neither through a proxy nor from another site's page: set auth.tokens_file")
	}
	return nil
}

// isFromHere reports whether a request that reached a loopback address was made on this machine on purpose: not passed on
// by a proxy, and not sent by a browser for a page from elsewhere, also not under a name that such a page has made point
// here.
func isFromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(r.Header[name]) > 0 {
			return false
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return false
	}
	return http.NewCrossOriginProtection().Check(r) == nil
}

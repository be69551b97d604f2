package auth

import (
	"net"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNewToken(t *testing.T) {
	t.Parallel()
	token, hash := NewToken()
	other, _ := NewToken()
	if !strings.HasPrefix(token, "dst_") || len(token) != 4+43 || token == other || HashOf(token) != hash {
		t.Errorf("token %q with hash %s, then %q", token, hash, other)
	}
}

func TestClient_May(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		roles []Role
		want  string // write, read, admin
	}{
		{[]Role{RoleWrite}, "true false false"},
		{[]Role{RoleRead}, "false true false"},
		{[]Role{RoleWrite, RoleRead}, "true true false"},
		{[]Role{RoleAdmin}, "true true true"},
	} {
		client := Client{roles: c.roles}
		var got []string
		for _, r := range AllRoles {
			got = append(got, map[bool]string{true: "true", false: "false"}[client.May(r)])
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v may %v, want %s", c.roles, got, c.want)
		}
	}
}

// TestLine_Property: the line that the command prints is the entry that its token is found by, whatever the name.
func TestLine_Property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		names := rapid.SliceOfN(rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._@/+-]{0,99}`), 1, 8).Draw(t, "names")
		var secrets []string
		for _, name := range names {
			token, hash := NewToken()
			roles := rapid.SliceOfN(rapid.SampledFrom(AllRoles), 1, 3).Draw(t, "roles")
			line, err := Line(name, roles, hash)
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(line + "\n")
			secrets = append(secrets, token)
		}
		parsed, err := parse([]byte(text.String()))
		if err != nil {
			t.Fatalf("%v:\n%s", err, text.String())
		}
		for i, secret := range secrets {
			if got := parsed.find(secret); got == nil || got.Name != names[i] {
				t.Fatalf("token %d is that of %v, want %s", i, got, names[i])
			}
		}
		for _, wrong := range []string{"", secrets[0][1:], secrets[0] + "x", HashOf(secrets[0]).String()} {
			if got := parsed.find(wrong); got != nil {
				t.Fatalf("%q is taken for the token of %s", wrong, got.Name)
			}
		}
	})
}

func TestLine_Refuses(t *testing.T) {
	t.Parallel()
	token, hash := NewToken()
	for _, c := range []struct {
		name  string
		roles []Role
	}{{"", AllRoles}, {"two words", AllRoles}, {token, AllRoles}, {"gateway", nil}, {"gateway", []Role{"root"}}, {strings.Repeat("x", 101), AllRoles}} {
		if line, err := Line(c.name, c.roles, hash); err == nil {
			t.Errorf("%q, %v: %s", c.name, c.roles, line)
		}
	}
}

func TestBearerToken(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER  abc ": "abc", "Bearer": "", "Bearer ": "", "": "", "Basic abc": "", "abc": "", "Bearerabc": "",
	} {
		if got := BearerToken(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true, "0.0.0.0": false, "::": false, "10.0.0.1": false,
	} {
		if got := IsLoopback(&net.TCPAddr{IP: net.ParseIP(address), Port: 8080}); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if IsLoopback(&net.TCPAddr{Port: 8080}) || IsLoopback(&net.UnixAddr{Name: "x"}) {
		t.Error("an address that is none counts as loopback")
	}
}

// TestParse_Faults: every fault is refused, with a sentence that repeats no value of the file.
func TestParse_Faults(t *testing.T) {
	t.Parallel()
	token, hash := NewToken()
	good := `{name: gateway, role: write, sha256: "` + hash.String() + `"}`
	for text, want := range map[string]string{
		"":                               "holds no token",
		"# nothing\n":                    "holds no token",
		"[]":                             "holds no token",
		"{}":                             "must be a list",
		token:                            "must be a list",
		"[" + good:                       "is not YAML",
		"- " + good + "\n---\n":          "one YAML document",
		"- " + token:                     "line 1: a token is a mapping",
		"- {" + token + ": x}":           "line 1: a key is none of",
		"- {name: gateway, role: write}": "line 1: sha256 is missing",
		"- {role: write, sha256: " + hash.String() + "}":                      "line 1: name is missing",
		"- {name: gateway, sha256: " + hash.String() + "}":                    "line 1: role is missing",
		"- {name: gateway, role: write, sha256: " + token + "}":               "line 1: sha256 must be the 64 hex digits",
		"- {name: gateway, role: write, sha256: " + hash.String()[1:] + "}":   "line 1: sha256 must be",
		"- {name: gateway, role: write, sha256: [" + hash.String() + "]}":     "line 1: sha256 must be",
		"- {name: gateway, role: " + token + ", sha256: x}":                   "line 1: role must be",
		"- {name: gateway, roles: [], sha256: x}":                             "line 1: role must name",
		"- {name: gateway, roles: [write, [read]], sha256: x}":                "line 1: role must be",
		"- {name: gateway, role: write, roles: [read], sha256: x}":            "line 1: role is given twice",
		"- {name: a, name: b}":                                                "line 1: name is given twice",
		"- {name: " + token + "}":                                             "line 1: name must not be a token",
		"- {name: 'two words'}":                                               "line 1: name must be",
		"- {name: \"a\\nb\"}":                                                 "line 1: name must be",
		"- {name: gateway, role: write, sha256: " + HashOf("").String() + "}": "empty token",
		"- " + good + "\n- " + good:                                           "line 2: the sha256 is that of line 1",
		"- &a " + good + "\n- *a":                                             "line 2: a token is a mapping",
		"\t" + token:                                                          "is not YAML",
		"- \"" + token:                                                        "is not YAML",
		"- *" + token:                                                         "is not YAML",
		"\xff":                                                                "is not YAML",
	} {
		_, err := parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), hash.String()) {
			t.Errorf("the fault of %q repeats a secret: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, hash := NewToken()
	f.Add([]byte("- {name: gateway, role: write, sha256: " + hash.String() + "}\n"))
	f.Add([]byte("- name: a\n  roles: [read, admin]\n  sha256: '" + hash.String() + "'\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if parsed, err := parse(text); (parsed == nil) != (err != nil) || err == nil && len(parsed.entries) == 0 {
			t.Errorf("%v, %v", parsed, err)
		}
	})
}

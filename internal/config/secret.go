package config

import (
	"fmt"
	"log/slog"
)

// masked stands for a secret wherever one would be printed.
const masked = "[hidden]"

// Secret is a text that is never printed: fmt with any verb, slog, JSON and YAML all show [hidden], or nothing when it is
// empty. The text is behind a pointer, so that a Secret in an unexported field, which fmt prints without asking its
// methods, shows an address. The zero value is the empty secret. Compare with Equal, not with ==.
type Secret struct{ text *string }

// NewSecret hides text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text itself. What it returns must not reach a log, an error or an answer.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether the secret is not empty.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal reports whether both hide the same text.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String returns the mask, or "" for the empty secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return masked
}

// Format writes the mask whatever the verb.
func (s Secret) Format(f fmt.State, verb rune) {
	switch verb {
	case 'q':
		fmt.Fprintf(f, "%q", s.String())
	default:
		fmt.Fprint(f, s.String())
	}
}

// LogValue returns the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns the mask; encoding/json and YAML use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

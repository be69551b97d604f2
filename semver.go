package datastorage

import (
	"cmp"
	"errors"
	"strings"
)

// SemVer is a semantic version with one to three numeric parts; missing ones are 0. See semver.org, 2.0.0, for the order.
// Build metadata has no meaning and is not kept.
type SemVer struct {
	// Core are major, minor and patch as decimal digits without leading zeros, of any length.
	Core [3]string
	// Pre is the pre-release part without its hyphen; "" for a release, which is higher than any pre-release.
	Pre string
}

var errSemVer = errors.New("must be a semantic version such as 1.4.0, v2 or 1.0.0-rc.1")

// ParseSemVer reads a version: an optional "v", one to three numbers, an optional pre-release and optional build
// metadata.
func ParseSemVer(s string) (SemVer, error) {
	rest, build, hasBuild := strings.Cut(strings.TrimPrefix(s, "v"), "+")
	if hasBuild && !identifiers(build, false) {
		return SemVer{}, errSemVer
	}
	core, pre, hasPre := strings.Cut(rest, "-")
	if hasPre && !identifiers(pre, true) {
		return SemVer{}, errSemVer
	}
	v := SemVer{Core: [3]string{"0", "0", "0"}, Pre: pre}
	parts := strings.Split(core, ".")
	if len(parts) > len(v.Core) {
		return SemVer{}, errSemVer
	}
	for i, part := range parts {
		if !isNumber(part) {
			return SemVer{}, errSemVer
		}
		v.Core[i] = part
	}
	return v, nil
}

// String returns the version with three parts and without "v" and build metadata: equal versions have equal texts.
func (v SemVer) String() string {
	s := strings.Join(v.Core[:], ".")
	if v.Pre != "" {
		s += "-" + v.Pre
	}
	return s
}

// Compare orders versions as semver.org says: -1 when v is lower than w, 0 when they are the same, 1 when it is higher.
func (v SemVer) Compare(w SemVer) int {
	for i := range v.Core {
		if c := compareNumbers(v.Core[i], w.Core[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.Pre == w.Pre:
		return 0
	case v.Pre == "":
		return 1
	case w.Pre == "":
		return -1
	}
	a, b := strings.Split(v.Pre, "."), strings.Split(w.Pre, ".")
	for i := range min(len(a), len(b)) {
		if c := compareIdentifiers(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// compareIdentifiers orders two identifiers of a pre-release: numbers by value and below all others, which compare as
// ASCII.
func compareIdentifiers(a, b string) int {
	switch x, y := isDigits(a), isDigits(b); {
	case x && y:
		return compareNumbers(a, b)
	case x:
		return -1
	case y:
		return 1
	}
	return strings.Compare(a, b)
}

// compareNumbers orders decimal numbers without leading zeros.
func compareNumbers(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// identifiers reports whether s is a list of identifiers separated by dots; numbers among those of a pre-release have no
// leading zeros.
func identifiers(s string, pre bool) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") != "" {
			return false
		}
		if pre && isDigits(id) && !isNumber(id) {
			return false
		}
	}
	return true
}

func isNumber(s string) bool { return isDigits(s) && (s == "0" || s[0] != '0') }

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

package flags

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/akslogin/akslogin/token"
)

// checkDashes refuses an argument that begins with another dash than "-": editors and chat programs
// replace "--" by such a dash. An argument that may be a value is refused only if a flag's name
// follows the dash. The error repeats no more of arg than a flag's name.
func (known knownFlags) checkDashes(arg string, mayBeValue bool) error {
	name := strings.TrimLeftFunc(arg, isDash)
	odd, _ := utf8.DecodeRuneInString(strings.TrimLeft(arg[:len(arg)-len(name)], "-"))
	name, _, _ = strings.Cut(name, "=")
	isFlag := known.long[name] != nil
	if odd == utf8.RuneError || mayBeValue && !isFlag {
		return nil
	}
	what := "an argument"
	if isFlag {
		what = "the flag --" + name
	}
	return &token.UsageError{
		Text: fmt.Sprintf("%s begins with the character %#U, which is not the hyphen of a flag", what, odd),
		Hint: "type the flag with two hyphens: editors and chat programs replace them with other " +
			"dashes",
	}
}

// isDash reports whether c is a dash of any kind: the minus sign is no punctuation in Unicode.
func isDash(c rune) bool { return unicode.Is(unicode.Pd, c) || c == '\u2212' }

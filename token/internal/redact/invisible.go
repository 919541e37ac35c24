package redact

import (
	"strings"
	"unicode"
)

// invisible are the characters without a glyph: Unicode's Default_Ignorable_Code_Point (format
// characters, variation selectors, and others such as the Hangul fillers), the separators of lines
// and paragraphs, and private use, whose glyphs are only known to some fonts. Format characters
// include those that change the direction of text.
var invisible = []*unicode.RangeTable{
	unicode.Cf,
	unicode.Other_Default_Ignorable_Code_Point,
	unicode.Variation_Selector,
	unicode.Zl,
	unicode.Zp,
	unicode.Co,
}

// emptyGlyphs are characters that look like a space and are not in Unicode's category Zs: BRAILLE
// PATTERN BLANK, MUSICAL SYMBOL NULL NOTEHEAD and KHITAN SMALL SCRIPT FILLER.
const emptyGlyphs = "\u2800\U0001d159\U00016fe4"

// maxMarks is how many nonspacing marks may follow each other. More of them cover the lines above
// and below (Unicode Technical Standard #39, section 5.4).
const maxMarks = 4

// StripInvisible returns s without invisible characters, with a space for each character that looks
// like one, and with at most four nonspacing marks in a row. It keeps control characters.
func StripInvisible(s string) string {
	marks := 0
	return strings.Map(func(c rune) rune {
		if c < 0x80 {
			marks = 0
			return c
		}
		switch {
		case unicode.In(c, invisible...):
			return -1
		case unicode.Is(unicode.Zs, c), strings.ContainsRune(emptyGlyphs, c):
			marks = 0
			return ' '
		case !unicode.In(c, unicode.Mn, unicode.Me):
			marks = 0
			return c
		case marks == maxMarks:
			return -1
		}
		marks++
		return c
	}, s)
}

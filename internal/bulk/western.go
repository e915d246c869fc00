package bulk

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// families are letters that occur together in one language of Windows-1252.
var families = []string{"äöüßéÄÖÜÉ", "åæøäöéüÅÆØÄÖÉ", "áðéíóúýþæöÁÐÉÍÓÚÝÞÆÖ",
	"àâæçéèêëîïôœùûüÿÀÂÆÇÉÈÊËÎÏÔŒÙÛÜŸ",
	"áéíóúüñçïàèòÁÉÍÓÚÜÑÇÏÀÈÒ", "àèéìíîòóùúÀÈÉÌÒÙ", "áâãàçéêíóôõúüÁÂÃÀÇÉÊÍÓÔÕÚÜ", "äõöüšžÄÕÖÜŠŽ",
	"éèëïöüáíóúÉËÏÖ"}

// plausible tells whether a word of Windows-1252 can be meant. Text of another
// encoding has signs, capitals and runs of accents inside its words.
func plausible(w []rune) bool {
	letters, high := 0, 0
	fits := slices.Repeat([]bool{true}, len(families))
	run := 0
	for i, r := range w {
		before, after := rune(' '), rune(' ')
		if i > 0 {
			before = w[i-1]
		}
		if i+1 < len(w) {
			after = w[i+1]
		}
		if !unicode.IsLetter(r) {
			run = 0
			if r >= 0x80 && r < 0xa0 || r == utf8.RuneError ||
				strings.ContainsRune("¬¤¦†‡ˆ‰‹›ƒ‚„•¨¯¸¶˜¥¢¡¿¾¼", r) && unicode.IsLetter(before) {
				return false
			}
			if strings.ContainsRune("‚„ƒ†‡ˆ‰˜", r) {
				return false
			}
			if r >= 0x80 && r != '’' && r != '´' && r != '·' && unicode.IsLetter(before) &&
				unicode.IsLetter(after) {
				return false
			}
			if strings.ContainsRune("³¹²±µ£»«©®§", r) && (unicode.IsLetter(after) ||
				unicode.IsLower(before)) {
				return false
			}
			continue
		}
		letters++
		if r < 0x80 {
			run = 0
			continue
		}
		if high++; r == 'ƒ' || r == 'ª' && unicode.IsLetter(after) || r == 'º' && unicode.IsLetter(after) ||
			r == 'µ' {
			return false
		}
		if r == 'ª' || r == 'º' { // of numbers
			continue
		}
		if run++; run > 2 {
			return false
		}
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			return false
		}
		switch vowel := strings.ContainsRune("aeiouyáéíóúAEIOUY", after); {
		case (r == 'ì' || r == 'ù') && unicode.IsLetter(after),
			r == 'æ' && i > 1 && !unicode.IsLetter(after), // Czech, Croatian
			(r == 'È' || r == 'Ê') && vowel, r == 'ñ' && unicode.IsLetter(after) && !vowel,
			r == 'ê' && !unicode.IsLetter(after) && letters > 1,
			r == 'š' && consonant(before) && consonant(after), // Mac Roman's ö
			r == 'þ' && consonant(before),                     // Turkish and Romanian
			(r == 'œ' || r == 'Œ') && strings.ContainsRune("wknclmpz", unicode.ToLower(after)):
			return false
		}
		for n, f := range families {
			fits[n] = fits[n] && strings.ContainsRune(f, r)
		}
	}
	if letters > 1 && high == letters {
		return false
	}
	return high == 0 || slices.Contains(fits, true)
}

func consonant(r rune) bool {
	return r < 0x80 && unicode.IsLetter(r) && !strings.ContainsRune("aeiouyAEIOUY", r)
}

// odd tells a word that no name of Western Europe is, where there are too many of
// them for typing errors, or letters that do not meet in one file.
func (g *glyphs) odd() string {
	good, odd, one := map[string]bool{}, map[string]bool{}, ""
	for _, w := range g.words {
		if text := strings.Trim(windows(w), "„“”‘’–—…'"); plausible([]rune(text)) {
			good[text] = true
		} else {
			odd[text] = true
			one = text
		}
	}
	some := func(of ...byte) (n int) {
		for _, c := range of {
			n += g.high[c]
		}
		return n
	}
	switch {
	case len(odd)*50 > len(good):
		return one
	case some(0xf5) > 0 && some(0xfb) > 0 && some(0xe3) == 0:
		return "õ beside û, as a Hungarian file would"
	case some(0xf0, 0xfe, 0xde) > 0 && some(0xe1, 0xe9, 0xed, 0xf3, 0xfa, 0xe6, 0xf6, 0xc1, 0xc9, 0xcd,
		0xd3, 0xda, 0xc6, 0xd6) == 0:
		return "þ or ð without the other letters of Icelandic, as a Turkish file would"
	}
	return ""
}

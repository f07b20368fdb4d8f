package protocol

// MaxLabel is the length of the longest session or product id, in bytes.
const MaxLabel = 128

// ValidLabel tells whether s may be a session_id or a product_id:
// [A-Za-z0-9][A-Za-z0-9_.:-]{0,127}.
func ValidLabel(s string) bool {
	if s == "" || len(s) > MaxLabel || !alphanumeric(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case alphanumeric(c):
		case c == '_', c == '.', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

package config

import "strings"

// SplitFlags takes the flags that set a key out of the arguments of a command:
// --pool.max_per_ip=5, --pool.max_per_ip 5, and a bool alone for true. Every
// flag with a dot is one, also an unknown one, which Load then refuses with the
// nearest key. Nothing after -- is touched.
func SplitFlags(args []string) (flags, rest []string) {
	root := schema()
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return flags, append(rest, args[i:]...)
		}
		name, _, assigned := strings.Cut(arg, "=")
		key, dashed := strings.CutPrefix(name, "--")
		_, found := root.resolve(key)
		switch {
		case !dashed || (found == nil && !strings.Contains(key, ".")):
			rest = append(rest, arg)
		case assigned:
			flags = append(flags, arg)
		case found != nil && isBool(found):
			flags = append(flags, arg+"=true")
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "--"):
			i++
			flags = append(flags, arg+"="+args[i])
		default:
			flags = append(flags, arg)
		}
	}
	return flags, rest
}

// readFlags reads what SplitFlags took out.
func (l *loader) readFlags(args []string) []setting {
	var settings []setting
	for _, arg := range args {
		name, text, assigned := strings.Cut(arg, "=")
		key := strings.TrimPrefix(name, "--")
		origin := "flag --" + safeKey(key)
		path, n := l.root.resolve(key)
		switch {
		case n == nil:
			l.unknown(key, origin, l.keys())
		case !assigned:
			l.fail(problem(safeKey(key), "", origin, "needs a value, as in --"+key+"=…"))
		default:
			settings = l.accept(settings, path, n, text, origin)
		}
	}
	return settings
}

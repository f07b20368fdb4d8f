package engine

import (
	"errors"
	"syscall"
)

// hint is err with a remedy, where one is known.
func hint(err error) string {
	remedy := ""
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		remedy = "; the process has no descriptors left: raise `ulimit -n`, or ask for fewer connections"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "; no port is left at this address, or the machine does not have it: give several source_addresses that it has, like 127.0.0.2 to 127.0.0.9"
	case errors.Is(err, syscall.ECONNREFUSED):
		remedy = "; nobody listens there"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		remedy = "; the system does not allow it, perhaps a firewall"
	}
	return err.Error() + remedy
}

package child

import "golang.org/x/sys/unix"

// stopped tells whether all threads of the process stand still. It looks without
// taking the news from whoever else waits.
func (p *Process) stopped() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, p.Pid(), &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

package child

import (
	"os/exec"
	"syscall"
)

// prepare ties the child to this process. The group of its own keeps a
// terminal's Ctrl-C away: whoever started it decides when it ends.
func prepare(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

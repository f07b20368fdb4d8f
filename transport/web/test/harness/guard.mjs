// Ends a process when this one is gone, however it went: a shell waits on a pipe
// that only this process holds open, and a pipe closes also after SIGKILL.
import { spawn } from "node:child_process";

const script = 'trap "" INT TERM HUP; read -r _ && exit; kill -9 "$1" 2>/dev/null; rm -rf "$2"';

/**
 * @param {number | undefined} pid a process that this one started
 * @param {string} folder its temporary folder, which goes with it
 */
export function guard(pid, folder) {
  if (!pid) return { release() {} };
  const shell = spawn("sh", ["-c", script, "guard", String(pid), folder], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  shell.stdin.on("error", () => {}); // it may be gone before it is told
  shell.unref();
  shell.stdin.unref?.();
  return {
    /** The process ended by itself: its number may soon be another's. */
    release() {
      shell.stdin.end("over\n");
    },
  };
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// run runs a shell's line on a terminal of so many columns, by script(1), and gives what it writes there to each as it
// comes. Its exit code is not looked at: a transcript may show a refusal.
func (s *scene) run(ctx context.Context, text string, columns int, colours bool, each func([]byte) error) error {
	cmd := exec.CommandContext(ctx, "script", "-qec", fmt.Sprintf("stty cols %d; %s", columns, text), os.DevNull)
	cmd.Dir, cmd.Env = s.dir, s.environment(colours)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("script(1), of util-linux: %w", err)
	}
	buffer := make([]byte, 1<<16)
	for {
		n, err := out.Read(buffer)
		if n > 0 {
			if bad := each(buffer[:n]); bad != nil {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				return fmt.Errorf("%s: %w", text, bad)
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return ctx.Err()
}

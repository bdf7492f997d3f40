package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"synoptic/results/sink/dest"
	"synoptic/results/textfile"
)

// secretFlags say who we are to a receiver, and whom we believe to be one. No flag takes a secret: the
// command line is in the process table and in the shell's history. Secrets come from a file or from the
// environment; where both are given, the file counts.
type secretFlags struct {
	hecTokenFile, elasticKeyFile, elasticPasswordFile string
	elasticUser                                       string
	tls                                               dest.TLS
}

const elasticUserFlag = "--elastic-user"

// The environment's names for the secrets, and for the user that one of them belongs to.
const (
	envHECToken        = "SYNOPTIC_HEC_TOKEN"
	envElasticKey      = "SYNOPTIC_ELASTIC_API_KEY"
	envElasticUser     = "SYNOPTIC_ELASTIC_USER"
	envElasticPassword = "SYNOPTIC_ELASTIC_PASSWORD"
)

func (s *secretFlags) register(fl *pflag.FlagSet) {
	fl.Var((*word)(&s.hecTokenFile), "hec-token-file", "`FILE` with the token for hec+https (or "+envHECToken+")")
	fl.Var((*word)(&s.elasticKeyFile), "elastic-api-key-file", "`FILE` with the API key for elastic+https (or "+envElasticKey+")")
	fl.Var((*word)(&s.elasticUser), "elastic-user", "`USER` for elastic+https, instead of an API key (or "+envElasticUser+")")
	fl.Var((*word)(&s.elasticPasswordFile), "elastic-password-file", "`FILE` with that user's password (or "+envElasticPassword+")")
	fl.Var((*word)(&s.tls.CAFile), "ca-file", "`FILE` with additional CA certificates (PEM), for receivers over TLS")
	fl.Var((*word)(&s.tls.CertFile), "client-cert", "`FILE` with the certificate (PEM) to show to receivers over TLS")
	fl.Var((*word)(&s.tls.KeyFile), "client-key", "`FILE` with the key (PEM) of that certificate")
}

// fill reads the secrets into a destination's options. What is wrong with the environment matters only
// to who needs it, so an empty variable is none.
func (s *secretFlags) fill(o *dest.Options, log *slog.Logger) error {
	o.TLS, o.ElasticUser = s.tls, s.elasticUser
	if o.ElasticUser == "" {
		o.ElasticUser = os.Getenv(envElasticUser)
	}
	for _, secret := range []struct {
		to              *dest.Secret
		file, flag, env string
	}{
		{&o.HECToken, s.hecTokenFile, "--hec-token-file", envHECToken},
		{&o.ElasticAPIKey, s.elasticKeyFile, "--elastic-api-key-file", envElasticKey},
		{&o.ElasticPassword, s.elasticPasswordFile, "--elastic-password-file", envElasticPassword},
	} {
		var err error
		if secret.file != "" {
			*secret.to, err = readSecret(secret.file, log)
		} else if v := os.Getenv(secret.env); v != "" {
			*secret.to, err = parseSecret(v)
		}
		if err != nil {
			from := secret.env
			if secret.file != "" {
				from = secret.flag + " " + secret.file
			}
			hint := "a secret is one line of text, with nothing else around it"
			if _, ok := errors.AsType[syscall.Errno](err); ok {
				hint = "give a file that you may read, with the secret and nothing else in it"
			} else if own := hintOf(err); own != "" {
				hint = own
			}
			return usage(hint, "%s: %v", from, err)
		}
	}
	secrets.Add(o.Secrets()...)
	if strings.Contains(o.ElasticUser, ":") {
		return usage("give the name alone, and the password in "+envElasticPassword+" or --elastic-password-file: the command line is no place for a secret",
			"%s: a colon in the user name for Elasticsearch", elasticUserFlag)
	}
	if s.tls.KeyFile != "" {
		if info, err := os.Stat(s.tls.KeyFile); err == nil {
			warnOpen(log, "key", s.tls.KeyFile, info)
		}
	}
	return nil
}

// warnOpen says that others may read a file with a secret. It is not refused: one that is mounted into a container
// often has such a mode.
func warnOpen(log *slog.Logger, what, name string, info fs.FileInfo) {
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode()&0o077 != 0 {
		log.Warn(fmt.Sprintf("others may read the %s in %s (mode %04o)", what, name, info.Mode().Perm()), hintKey, "chmod 600 "+name)
	}
}

// maxSecret bounds a secret, in bytes: a larger file is another one than was meant.
const maxSecret = 4096

// readSecret reads a file that holds a secret and nothing else.
func readSecret(name string, log *slog.Logger) (dest.Secret, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", bare(err) // the caller has the name
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		warnOpen(log, "secret", name, info)
	}
	// Shells of Windows write UTF-16 or a byte order mark, which nobody sees in the file.
	data, err := io.ReadAll(io.LimitReader(textfile.NewReader(f, textfile.Options{}), maxSecret+1))
	if err != nil {
		return "", bare(err)
	}
	return parseSecret(string(data))
}

// parseSecret takes white space off, and refuses what cannot be a secret, without showing it.
func parseSecret(text string) (dest.Secret, error) {
	if len(text) > maxSecret {
		return "", fmt.Errorf("more than %d bytes", maxSecret)
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errors.New("it is empty")
	case strings.ContainsAny(text, "\r\n"):
		return "", errors.New("more than one line")
	case strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return "", errors.New("a control character in it")
	}
	return dest.Secret(text), nil
}

// recordable are the words of a command line as they may be shown and recorded. None of our flags takes
// a secret, and a URL with one is refused; that somebody tries is no reason to spread it.
func recordable(args []string) []string {
	all := slices.Clone(args)
	for i := range all {
		all[i] = dest.Redact(all[i])
	}
	for i := range args {
		name, value, ok := flagValue(args, i)
		user, _, both := strings.Cut(value, ":")
		switch {
		case ok && looksSecret(name):
			value = "…"
		case ok && both && name == elasticUserFlag:
			value = user + ":…"
		default:
			continue
		}
		if strings.Contains(args[i], "=") {
			all[i] = name + "=" + value
		} else {
			all[i+1] = value
		}
	}
	return all
}

// looksSecret tells a flag that somebody may think takes a secret. The real ones take the name of a file.
func looksSecret(flag string) bool {
	if strings.HasSuffix(flag, "-file") || strings.HasSuffix(flag, "-client-key") {
		return false
	}
	return slices.ContainsFunc([]string{"token", "password", "secret", "key"}, func(w string) bool { return strings.Contains(flag, w) })
}

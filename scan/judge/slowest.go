package judge

// SlowestRate is how many open ports a second a Verifier settles where every server accepts the connection and says
// nothing.
func SlowestRate(c VerifierConfig) float64 {
	return min(c.Rate, verifyRate, float64(min(c.Slots, MaxVerify))/verifyListen.Seconds())
}

package balance

// Settings bound what a warm start moves. The zero value means the defaults.
type Settings struct {
	Band     int  // percent of a node's ideal capacity within which it counts as balanced: 1 to 100; 0 for 5
	Gain     int  // percent of a volume's weight that its move must gain: 1 to 100; 0 for 25
	Budget   int  // volumes that one run moves at most, beside the homeless; 0 for 500, -1 for none
	Thorough bool // ignore Band and Gain, and exchange volumes: the re-optimisation that runs now and then
}

// The defaults of [Settings].
const (
	DefaultBand   = 5
	DefaultGain   = 25
	DefaultBudget = 500
)

// Validate sets defaults, and refuses what is out of bounds.
func (s *Settings) Validate() error {
	if s.Band == 0 {
		s.Band = DefaultBand
	}
	if s.Gain == 0 {
		s.Gain = DefaultGain
	}
	if s.Budget == 0 {
		s.Budget = DefaultBudget
	}
	switch {
	case s.Band < 1 || s.Band > 100:
		return invalid("Band: %d percent is not within 1 to 100", s.Band)
	case s.Gain < 1 || s.Gain > 100:
		return invalid("Gain: %d percent is not within 1 to 100", s.Gain)
	case s.Budget < -1:
		return invalid("Budget: %d is below -1", s.Budget)
	}
	return nil
}

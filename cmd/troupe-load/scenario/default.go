package scenario

import "time"

// Default is a scenario without any key.
func Default() *Scenario {
	return &Scenario{
		Name:        "unnamed",
		Mode:        ModeTroupe,
		Connections: 100,
		Ramp:        500,
		WarmUp:      Duration(2 * time.Second),
		Duration:    Duration(30 * time.Second),
		Seed:        1,
		Questions: Questions{
			Arrival:       ArrivalClosed,
			Think:         Durations{uniform(0, 0, true)},
			Spread:        Duration(time.Second),
			PerConnection: 1,
			Words:         FixedCount(40),
		},
		Abort:       Abort{After: Durations{uniform(0.1, 2, true)}, How: HowCancel},
		SlowReaders: SlowReaders{Rate: 4096, ReceiveBuffer: 4096},
		Visits:      Visits{Questions: 1},
		Reconnect: Reconnect{
			Share: 1, How: HowReset, Refused: true, WhenLost: true,
			Back: Durations{uniform(0, 1, true)},
		},
		Timeouts: Timeouts{
			Handshake: Duration(10 * time.Second),
			Answer:    Duration(60 * time.Second),
			Finish:    Duration(15 * time.Second),
		},
	}
}

// settle fills in what depends on other fields.
func (s *Scenario) settle() {
	if s.Path == "" && s.Mode == ModeTroupe {
		s.Path = "/ws/chat/{{session}}"
	}
	if s.Mode == ModeTroupe && len(s.Questions.Models) == 0 && s.Questions.Provider == "" {
		s.Questions.Provider, s.Questions.Models = "echo", Choice{"echo-20ms-200w"}
	}
	if s.Reconnect.Resume {
		s.Questions.Named = true // the server follows named questions alone
	}
}

package provider

// Checker is a Provider that can refuse a question without calling anybody.
type Checker interface {
	// Check is the function Check for this provider.
	Check(model string, keyed bool) (Fault, error)
}

// Check implements Checker.
func (p *vendor) Check(model string, keyed bool) (Fault, error) {
	return Check(p.name, &p.cfg, model, keyed)
}

// Check implements Checker.
func (e *echo) Check(model string, _ bool) (Fault, error) {
	return Check(e.name, &e.cfg, model, true)
}

package datastorage

// DecodeDiscard reads a request to discard a dead letter, {"reason": "…"}. The error is an *Error with CodeValidation.
func DecodeDiscard(raw []byte) (reason string, err error) {
	o, err := readObject(raw)
	if err != nil {
		return "", err
	}
	o.text(&discardReason, &reason)
	return reason, o.finish()
}

// discardReason is the rule for the reason of a discard.
var discardReason = textRule{"reason", 500, true, nil}

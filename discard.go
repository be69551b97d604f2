package datastorage

// DecodeDiscard reads a request to discard a dead letter, {"reason": "…"}. The error is an *Error with CodeValidation.
func DecodeDiscard(raw []byte) (reason string, err error) {
	members, bad, err := decodeObject(raw)
	if err != nil {
		return "", err
	}
	found := faults{}
	if fault := bad["reason"]; fault != "" {
		found["reason"] = "reason " + fault
		delete(bad, "reason")
	} else if fault := reasonField.decode(members["reason"], &reason); fault != "" {
		found["reason"] = "reason " + fault
	}
	for _, fault := range bad {
		found[wholeObject] = "an unknown member of the body " + fault
	}
	if len(found) > 0 {
		return "", found.err()
	}
	return reason, nil
}

// reasonField is the reason for a discard: required, at most 500 characters.
var reasonField = notificationField{name: "reason", max: 500, required: true}

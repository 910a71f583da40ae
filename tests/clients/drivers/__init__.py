"""One module a client or deliverer: `NEEDS` names its programs, `drive` proves that it reacted."""

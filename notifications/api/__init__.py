"""Events, channels, rules, mutes and pings over HTTP."""

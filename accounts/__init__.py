"""How people prove who they are: passwords that must be changed, second factors, sessions, other sites' word."""

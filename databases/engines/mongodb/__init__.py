"""MongoDB through mongodump and mongorestore."""

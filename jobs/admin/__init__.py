"""What every page of the admin stands on: roles, pages, forms, and the page of a job."""

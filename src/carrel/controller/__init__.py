"""The controller: tables, one write door, task API, RAP API, the sweep."""

"""What ``limen check`` looks for in a gateway. ``run`` lists the checks, one module each. Nothing here runs per request."""

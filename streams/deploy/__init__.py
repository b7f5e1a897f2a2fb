"""What a deployment is made of: the zip for AWS Lambda, and the list of functions in it."""

"""`dfd`: depth from defocus."""

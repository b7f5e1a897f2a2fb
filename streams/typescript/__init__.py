"""What a frontend may know of an application, as one TypeScript file."""

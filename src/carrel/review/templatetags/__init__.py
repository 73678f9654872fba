"""Tags and filters of the review site's templates."""

"""`render-batch`: many photographs."""

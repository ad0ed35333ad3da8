//! What a collection is: name, dimension, metric, embedder.

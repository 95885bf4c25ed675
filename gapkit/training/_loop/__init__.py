"""The bundled trainer: settings, steps, losses, ranks, and several runs one after another."""

package cli

// repository is the root of the repository, as tests of this package see it.
const repository = "../.."

// Package rounds changes names round after round, each call one that fails if it is made twice, and knows what must be there after it.
// What belongs here: changes whose repetition shows. What does not: the content of files (records).
package rounds

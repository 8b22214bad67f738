//! Check characters of Chinese identity and enterprise numbers.

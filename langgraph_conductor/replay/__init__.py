"""Replies kept, so that nothing is paid twice."""

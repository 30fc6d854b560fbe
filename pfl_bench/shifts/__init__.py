"""Shifts: one file each, found by discovery."""

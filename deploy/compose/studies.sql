-- Runs once, when the database is created, by the account that owns both: chestgan.
CREATE DATABASE studies;

-- Run once, when the database is made, by the account that owns both: chestgan.
CREATE DATABASE studies;

-- Runs once, when the database is created, after studies.sql. The portal's account owns its database and opens no other one.
\getenv password CHESTGAN_PORTAL_POSTGRES_PASSWORD
CREATE ROLE portal LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE portal OWNER portal;
REVOKE ALL ON DATABASE portal, chestgan, studies, postgres, template1 FROM PUBLIC;

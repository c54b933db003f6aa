-- The five database users, made once by the database's administrator before the first
-- `airunnerctl db migrate`. @NAME@ are replaced by the caller; on a host where each program runs
-- as a system user of the same name, use IDENTIFIED VIA unix_socket instead of passwords.
CREATE DATABASE IF NOT EXISTS @DATABASE@ CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER IF NOT EXISTS air_migrate IDENTIFIED BY '@PASSWORD_MIGRATE@';
CREATE USER IF NOT EXISTS air_worker IDENTIFIED BY '@PASSWORD_WORKER@';
CREATE USER IF NOT EXISTS air_hook IDENTIFIED BY '@PASSWORD_HOOK@';
CREATE USER IF NOT EXISTS air_api IDENTIFIED BY '@PASSWORD_API@';
CREATE USER IF NOT EXISTS air_dash IDENTIFIED BY '@PASSWORD_DASH@';
GRANT ALL PRIVILEGES ON @DATABASE@.* TO air_migrate WITH GRANT OPTION;

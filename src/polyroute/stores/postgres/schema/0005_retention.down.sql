UPDATE attempts SET id = request_id || id WHERE substr(id, 1, 1) = '.';
DROP TABLE expired;

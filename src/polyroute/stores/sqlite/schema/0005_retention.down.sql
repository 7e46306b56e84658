UPDATE receipts SET body = unpack(body) WHERE substr(body, 1, 1) <> CAST('{' AS BLOB);
UPDATE attempts SET id = request_id || id WHERE substr(id, 1, 1) = '.';
DROP TABLE expired;

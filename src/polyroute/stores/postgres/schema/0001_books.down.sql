DROP TABLE receipts;
DROP TABLE attempts;
DROP TABLE requests;

-- Only a file on this machine keeps names apart: what a server keeps, other programs read.
SELECT 1;

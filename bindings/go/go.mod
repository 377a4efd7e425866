module kvds

go 1.19

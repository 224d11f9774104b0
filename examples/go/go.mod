module example.org/hello

go 1.21

require example.org/greeting v1.0.0

@load base/frameworks/notice

option our_scanners: set[addr] = { 10.0.0.5 };

hook Notice::policy(n: Notice::Info) &priority=20
	{
	if ( n?$src && n$src in our_scanners &&
	     n$note in set(Scan::Address_Scan, Scan::Port_Scan, Scan::Random_Scan) )
		break;
	}

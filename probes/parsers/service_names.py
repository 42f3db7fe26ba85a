"""Names of services to their ports, where a tool prints names instead of numbers.

Place in the data's way: the dialects ask here for the port in ``localhost:ipp`` or ``*.ssh``.
Pure: it does not read the services file of this machine, which need not be that of the host that
printed the name. Source: the IANA registry of service names and port numbers (RFC 6335), with the
names and aliases that the services files of Debian, Red Hat, BSD, macOS and Windows have beside
it. Those are the same for TCP and UDP wherever a name is registered for both, so a name has one
port here.

A name that is not here stays unknown: to guess a port would be worse than to reject a row.
"""

from __future__ import annotations

_BY_PORT = """
1 tcpmux; 5 rje; 7 echo; 9 discard sink null; 11 systat users; 13 daytime; 15 netstat;
17 qotd quote; 18 msp; 19 chargen ttytst source; 20 ftp-data; 21 ftp fsp fspd; 22 ssh; 23 telnet;
25 smtp mail; 33 dsp; 37 time timserver; 39 rlp; 41 graphics; 42 nameserver name;
43 whois nicname; 49 tacacs; 50 re-mail-ck; 53 domain; 66 sqlnet sql-net; 67 bootps; 68 bootpc;
69 tftp; 70 gopher; 71 netrjs-1; 79 finger; 80 http www; 81 hosts2-ns; 82 xfer; 83 mit-ml-dev;
84 ctf; 86 mfcobol; 87 link; 88 kerberos kerberos5 krb5 kerberos-sec; 89 su-mit-tg; 90 dnsix;
95 supdup; 96 dixie; 98 tacnews linuxconf; 99 metagram; 101 hostname hostnames;
102 iso-tsap tsap; 104 acr-nema; 105 csnet-ns cso; 106 poppassd; 107 rtelnet; 109 pop2 pop-2;
110 pop3 pop-3; 111 sunrpc portmapper; 112 mcidas; 113 auth authentication tap ident; 115 sftp;
117 uucp-path; 118 sqlserv; 119 nntp readnews untp; 123 ntp; 129 pwdgen; 130 cisco-fna;
133 statsrv; 135 epmap loc-srv; 136 profile; 137 netbios-ns; 138 netbios-dgm; 139 netbios-ssn;
143 imap2 imap; 144 uma; 152 bftp; 153 sgmp; 156 sqlsrv; 158 pcmail-srv; 161 snmp;
162 snmp-trap snmptrap; 163 cmip-man; 164 cmip-agent; 170 print-srv; 174 mailq; 175 vmnet;
177 xdmcp; 178 nextstep; 179 bgp; 191 prospero; 194 irc; 199 smux; 209 qmtp; 210 z3950 wais;
213 ipx; 220 imap3; 259 esro-gen; 264 bgmp; 280 http-mgmt; 308 novastorbakcup; 311 asip-webadmin;
318 pkix-timestamp; 319 ptp-event; 320 ptp-general; 345 pawserv; 346 zserv; 350 matip-type-a;
363 rsvp_tunnel; 366 odmr; 369 rpc2portmap; 370 codaauth2; 371 clearcase; 383 hp-alarm-mgr;
384 arns; 387 aurp; 389 ldap; 396 netware-ip; 397 mptn; 401 ups; 407 timbuktu; 411 rmt;
412 synoptics-trap; 413 smsp; 427 svrloc; 434 mobileip-agent; 443 https; 444 snpp;
445 microsoft-ds; 458 appleqtc; 464 kpasswd kpasswd5; 465 submissions ssmtp smtps urd; 487 saft;
497 retrospect dantz; 500 isakmp; 502 mbap modbus; 510 fcp; 512 exec biff comsat;
513 login who whod; 514 shell cmd syslog; 515 printer spooler; 517 talk; 518 ntalk;
520 route router routed; 521 ripng; 524 ncp; 525 timed timeserver; 526 tempo newdate;
530 courier; 531 conference chat; 532 netnews; 533 netwall; 538 gdomap; 540 uucp uucpd;
543 klogin; 544 kshell krcmd; 545 appleqtcsrv ekshell; 546 dhcpv6-client; 547 dhcpv6-server;
548 afpovertcp; 550 new-rwho; 554 rtsp; 556 remotefs; 560 rmonitor; 561 monitor; 563 nntps snntp;
587 submission; 593 http-rpc-epmap; 607 nqs; 623 asf-rmcp; 626 asia; 628 qmqp; 631 ipp;
636 ldaps; 639 msdp; 641 repcmd; 646 ldp; 648 rrp; 650 obex; 655 tinc; 660 mac-srvr-admin;
666 doom mdqs; 674 acap; 687 asipregistry; 691 msexch-routing; 694 ha-cluster; 701 lmp; 706 silc;
749 kerberos-adm; 750 kerberos4 kerberos-iv kdc; 751 kerberos-master kerberos_master;
752 passwd-server passwd_server; 754 krb-prop krb_prop krb5_prop hprop; 765 webster;
767 phonebook; 775 moira-db moira_db; 777 moira-update moira_update; 779 moira-ureg moira_ureg;
783 spamd; 829 pkix-3-ca-ra; 853 domain-s; 860 iscsi; 861 owamp-control; 871 supfilesrv;
873 rsync; 902 ideafarm-door; 903 ideafarm-panic; 953 rndc; 989 ftps-data; 990 ftps; 992 telnets;
993 imaps; 994 ircs; 995 pop3s; 996 vsinet xtreelic; 999 puprouter garcon; 1000 cadlock2;
1025 blackjack; 1026 cap; 1027 exosee; 1030 iad1; 1058 nim; 1059 nimreg; 1080 socks; 1093 proofd;
1094 rootd; 1099 rmiregistry; 1110 nfsd-status webadmstart; 1123 murray; 1127 supfiledbg;
1167 cisco-ipsla; 1178 skkserv; 1183 llsurfup-http; 1194 openvpn; 1210 predict; 1214 kazaa;
1220 qt-serveradmin; 1234 search-agent; 1236 rmtcfg; 1241 nessus; 1270 opsmgr;
1293 pkt-krb-ipsec; 1311 rxmon; 1313 xtel; 1314 xtelw; 1344 icap; 1352 lotusnote lotusnotes;
1414 ibm-mqseries; 1433 ms-sql-s; 1434 ms-sql-m; 1494 ica; 1500 vlsi-lm; 1503 imtc-mcs;
1512 wins; 1521 ncube-lm; 1524 ingreslock; 1525 orasrv; 1527 tlisrv; 1529 coauthor;
1533 virtual-places; 1604 icabrowser; 1645 datametrics old-radius; 1646 sa-msg-port old-radacct;
1649 kermit; 1677 groupwise; 1701 l2f l2tp; 1718 h323gatedisc; 1719 h323gatestat;
1720 h323hostcall; 1723 pptp; 1755 wms; 1761 cft-0; 1801 msmq; 1812 radius;
1813 radius-acct radacct; 1863 msnp; 1883 mqtt; 1900 ssdp; 1935 macromedia-fcs; 1967 ssslic-mgr;
1984 bb; 1985 hsrp; 1993 snmp-tcp-port; 1994 stun-port; 1998 x25-svc-port; 1999 tcp-id-port;
2000 cisco-sccp; 2001 dc; 2002 globe; 2003 cfinger; 2004 mailbox; 2005 deslogin;
2010 search pipe_server; 2020 xinupageserver; 2022 down; 2030 device2; 2041 interbase;
2048 dls-monitor; 2049 nfs; 2053 knetd lot105-ds-upd; 2082 infowave; 2083 radsec; 2086 gnunet;
2087 eli; 2095 nbx-ser; 2096 nbx-dir; 2101 rtcm-sc104; 2102 zephyr-srv; 2103 zephyr-clt;
2104 zephyr-hm; 2105 minipay eklogin; 2106 mzap; 2107 msmq-mgmt; 2111 kx dsatp;
2119 gsigatekeeper; 2121 iprop; 2135 gris; 2150 dynamic3d; 2181 eforward; 2190 tivoconnect;
2222 ethernet-ip-1 rockwell-csp2; 2323 3d-nfsd; 2375 docker; 2376 docker-s; 2377 swarm;
2379 etcd-client; 2380 etcd-server; 2381 compaq-https; 2383 ms-olap4; 2393 ms-olap1;
2394 ms-olap2; 2397 fmpro-internal; 2401 cvspserver; 2404 iec-104; 2427 mgcp-gateway; 2430 venus;
2431 venus-se; 2432 codasrv; 2433 codasrv-se; 2480 powerexchange; 2483 ttc; 2484 ttc-ssl;
2500 rtsserv; 2512 citrixima; 2513 citrixadmin; 2525 ms-v-worlds; 2535 madcap; 2583 mon;
2598 citriximaclient; 2600 zebrasrv; 2601 zebra; 2602 ripd; 2603 ripngd; 2604 ospfd; 2605 bgpd;
2606 ospf6d; 2607 ospfapi; 2608 isisd; 2628 dict; 2638 sybaseanywhere; 2701 sms-rcinfo;
2702 sms-xfer; 2703 sms-chat; 2704 sms-remctrl; 2727 mgcp-callagent; 2775 smpp;
2792 f5-globalsite; 2809 corbaloc; 2811 gsiftp; 2869 icslap; 2910 tdaccess; 2944 megaco-h248;
2947 gpsd; 2967 ssc-agent; 2988 hippad; 3000 hbci ppp; 3001 redwood-broker; 3020 cifs; 3031 eppc;
3050 gds-db gds_db; 3052 powerchute apc-3052; 3074 xbox; 3075 orbix-locator; 3101 ssrip;
3127 ctx-bridge; 3128 ndl-aas squid; 3130 icpv2 icp; 3168 poweronnud; 3205 isns; 3225 fcip;
3260 iscsi-target; 3268 msft-gc; 3269 msft-gc-ssl; 3283 net-assistant; 3299 pdrncs;
3300 ceph sap; 3305 odette-ftp; 3306 mysql; 3310 dyna-access; 3311 mcns-tel-ret; 3323 active-net;
3333 dec-notes; 3351 btrieve; 3372 msdtc tip2; 3386 gprs-data; 3388 cbserver; 3389 ms-wbt-server;
3390 dsc; 3396 printer_agent; 3400 csms2; 3410 networklenss; 3455 prsvp; 3456 vat;
3457 vat-control; 3478 stun turn; 3483 slim-devices; 3493 nut; 3517 802-11-iapp;
3527 beserver-msg-q; 3529 starquiz; 3544 teredo; 3551 apcupsd; 3600 text-relay; 3632 distcc;
3659 apple-sasl; 3671 efcp; 3689 daap; 3690 svn subversion; 3702 ws-discovery;
3703 adobeserver-3; 3784 bfd-control; 3785 bfd-echo; 3868 diameter; 3880 igrs;
3986 mapper-ws_ethd; 4000 terabase; 4001 newoak; 4002 pxc-spvr-ft; 4031 suucp; 4045 npp lockd;
4094 sysrqd; 4111 xgrid; 4190 sieve; 4242 vrml-multi-use; 4321 rwhois; 4333 msql mini-sql;
4343 unicall; 4353 f5-iquery; 4369 epmd; 4373 remctl; 4433 vop; 4443 pharos;
4444 krb524 nv-video; 4445 upnotifyp; 4446 n1-fwp; 4460 ntske; 4488 awacs-ice; 4500 ipsec-nat-t;
4557 fax; 4559 hylafax; 4567 tram; 4569 iax; 4646 dots-signal; 4660 mosmig; 4661 kar2ouche;
4662 oms; 4672 rfa; 4691 mtn; 4711 trinity-dist; 4750 ssad; 4789 vxlan; 4840 opcua-tcp;
4843 opcua-tls; 4848 appserv-http; 4899 radmin-port; 4949 munin lrrd; 4950 sybasesrvmon;
5000 commplex-main upnp; 5001 commplex-link; 5002 rfe; 5004 avt-profile-1 rtp-data;
5005 avt-profile-2 rtp; 5009 winfs airport-admin; 5010 telelpathstart; 5022 mice; 5025 scpi-raw;
5050 mmcc; 5051 ita-agent; 5055 unot; 5060 sip; 5061 sip-tls; 5080 onscreen; 5090 presence-mgr;
5100 admd; 5101 admdog; 5190 aol; 5222 xmpp-client jabber-client; 5223 hpvirtgrp; 5228 hpvroom;
5269 xmpp-server jabber-server; 5280 xmpp-bosh; 5298 presence; 5308 cfengine; 5349 stuns turns;
5351 nat-pmp; 5352 dns-llq; 5353 mdns; 5354 mdnsresponder; 5355 llmnr hostmon; 5357 wsdapi;
5358 wsdapi-s; 5400 excerpt; 5405 netsupport; 5417 sns-agent; 5431 park-agent;
5432 postgresql postgres; 5433 pyrrho; 5445 smbdirect; 5500 fcp-addr-srvr1; 5550 cbus;
5554 sgi-esphttp; 5555 rplay; 5556 freeciv rptp; 5569 plysrv-http; 5631 pcanywheredata;
5632 pcanywherestat; 5665 ncd-diag; 5666 nrpe; 5667 nsca; 5671 amqps; 5672 amqp; 5678 rrac;
5679 dccm; 5680 canna; 5683 coap; 5684 coaps; 5722 msdfsr; 5723 omhs; 5868 diameters;
5900 rfb vnc-server; 5985 wsman winrm; 5986 wsmans winrms; 5988 wbem-http; 5989 wbem-https;
6000 x11 x11-0; 6001 x11-1; 6002 x11-2; 6003 x11-3; 6004 x11-4; 6005 x11-5; 6006 x11-6;
6007 x11-7; 6081 geneve; 6082 p25cai; 6100 synchronet-db; 6123 backup-express; 6129 dameware;
6343 sflow; 6346 gnutella-svc; 6347 gnutella-rtr; 6379 redis; 6389 clariion-evt01;
6443 sun-sr-https; 6444 sge-qmaster sge_qmaster; 6445 sge-execd sge_execd; 6446 mysql-proxy;
6481 servicetags; 6502 boe-processsvr; 6514 syslog-tls; 6543 lds-distrib;
6566 sane-port sane saned; 6568 canit_store; 6600 mshvlm; 6601 mstmg-sstp; 6640 ovsdb;
6646 mcafeeassc; 6653 openflow; 6665 ircu-1; 6666 ircu-2; 6667 ircd; 6668 ircu-4; 6669 ircu-5;
6688 clever-tcp; 6696 babel; 6697 ircs-u; 6699 babel-dtls; 6789 smc-https radg; 6881 bittorrent;
6969 acmsd; 7000 bbs afs3-fileserver; 7001 afs3-callback; 7002 afs3-prserver; 7003 afs3-vlserver;
7004 afs3-kaserver; 7005 afs3-volser; 7007 afs3-bos; 7008 afs3-update; 7009 afs3-rmtsys;
7010 ups-onlinet; 7070 arcp; 7071 iwg1; 7077 spark; 7100 font-service xfs; 7201 dlip; 7326 icb;
7443 oracleas-https; 7473 rise; 7547 cwmp; 7627 soap-http; 7676 imqbrokerd; 7680 pando-pub;
7707 ft-dns; 7777 cbt; 7778 interwise; 7787 popup-reminders; 7800 asr; 8000 irdmi;
8001 vcom-tunnel; 8002 teradataordbms; 8003 mcreport; 8005 mxi; 8006 wpl-analytics;
8009 nvme-disc ajp13; 8010 xmpp-file; 8011 web; 8020 intu-ec-svcdisc; 8021 zope-ftp;
8022 oa-system; 8025 ca-audit-da; 8026 ca-audit-ds; 8032 pro-ed; 8042 fs-agent; 8051 rocrail;
8060 aero; 8074 gadugadu; 8080 http-alt webcache; 8081 tproxy; 8082 us-cli; 8083 us-srv;
8086 d-s-n; 8087 simplifymedia; 8088 omniorb; 8090 opsmessaging; 8091 jamlink;
8100 xprint-server; 8116 cp-cluster; 8118 privoxy; 8123 polipo; 8140 puppet; 8161 patrol-snmp;
8181 intermapper; 8192 spytechphone; 8194 blp1; 8200 trivnet1; 8222 gentiva; 8243 synapse-nhttps;
8280 synapse-nhttp; 8300 tmi; 8301 amberon; 8383 m2mservices; 8400 cvd; 8402 abarsd;
8443 pcsync-https; 8444 pcsync-http; 8500 fmtp; 8554 rtsp-alt; 8600 asterix; 8649 ganglia;
8686 sun-as-jmxrmi; 8765 ultraseek-http; 8787 msgsrvr; 8800 sunwebadmin; 8873 dxspider;
8880 cddbp-alt; 8883 secure-mqtt; 8888 ddi-tcp-1 sun-answerbook; 8889 ddi-tcp-2; 8899 ospf-lite;
8990 clc-build-daemon; 9000 cslistener; 9001 etlservicemgr; 9002 dynamid; 9009 pichat; 9010 sdr;
9050 versiera; 9080 glrpc; 9090 websm; 9091 xmltec-xmlmail; 9092 xmlipcregsvc; 9093 copycat;
9098 xinetd; 9100 hp-pdl-datastr pdl-datastream jetdirect; 9101 bacula-dir; 9102 bacula-fd;
9103 bacula-sd; 9119 mxit; 9160 apani1; 9200 wap-wsp; 9201 wap-wsp-wtp; 9300 vrace; 9389 adws;
9393 callwaveiam; 9418 git; 9443 tungsten-https; 9535 mngsuite; 9595 pds; 9600 micromuse-ncpw;
9667 xmms2; 9673 zope; 9800 davsrc; 9876 sd; 9898 monkeycom; 9987 dsm-scm-target;
9990 osm-appsrvr; 9993 palace-2; 9995 palace-4; 9996 palace-5; 9999 distinct; 10000 webmin;
10001 scp-config; 10002 documentum; 10008 octopus; 10050 zabbix-agent; 10051 zabbix-trapper;
10080 amanda; 10081 kamanda; 10082 amandaidx; 10083 amidxtape; 10113 netiq-endpoint;
10161 snmptls; 10162 snmptls-trap; 10443 cirrossp; 10809 nbd; 11000 irisa; 11001 metasys;
11112 dicom; 11211 memcache memcached; 11371 hkp; 12000 cce4x entextxid; 12345 italk netbus;
13720 bprd; 13721 bpdbm; 13722 bpjava-msvc; 13724 vnetd; 13782 bpcd; 13783 vopied;
14000 scotty-ft; 15000 hydap; 16080 osxwebadmin; 16992 amt-soap-http; 16993 amt-soap-https;
17001 sgi-cmsd; 17002 sgi-crsd; 17003 sgi-gcd; 17004 sgi-cad; 17500 db-lsp; 18181 opsec-cvp;
18182 opsec-ufp; 20000 dnp; 20005 openwebnet; 22125 dcap; 22128 gsidcap; 22273 wnn6;
22347 wibukey; 22350 codemeter; 22763 talikaserver; 24242 filesphere; 24554 binkp; 26000 quake;
27000 flexlm; 27017 mongodb mongod; 27374 asp; 30865 csync2; 33060 mysqlx; 33434 traceroute;
34443 psafehost; 35357 openstack-id; 38201 galaxy7-data; 44818 ethernet-ip-2; 47808 bacnet;
51820 wireguard; 57000 dircproxy; 60177 tfido; 60179 fido
"""
"""Each port with its names, the registered one first."""

_IP_PROTOCOLS = (
    "icmp 1; igmp 2; ggp 3; ipencap 4; st 5; tcp 6; cbt 7; egp 8; igp 9; pup 12; udp 17; hmp 20; "
    "xns-idp 22; rdp 27; iso-tp4 29; dccp 33; xtp 36; ddp 37; idpr-cmtp 38; ipv6 41; "
    "ipv6-route 43; ipv6-frag 44; idrp 45; rsvp 46; gre 47; esp 50; ipsec-esp 50; ah 51; "
    "ipsec-ah 51; skip 57; ipv6-icmp 58; icmp6 58; icmpv6 58; ipv6-nonxt 59; ipv6-opts 60; "
    "rspf 73; vmtp 81; eigrp 88; ospf 89; ospfigp 89; ax.25 93; ipip 94; etherip 97; encap 98; "
    "pim 103; ipcomp 108; vrrp 112; carp 112; l2tp 115; isis 124; sctp 132; fc 133; "
    "mobility-header 135; udplite 136; mpls-in-ip 137; hip 139; shim6 140; wesp 141; rohc 142"
)


def _ports() -> dict[str, int]:
    return {
        name: int(port) for port, *names in map(str.split, _BY_PORT.split(";")) for name in names
    }


_PORTS = _ports()
_NUMBERS = {name: int(value) for name, value in map(str.split, _IP_PROTOCOLS.split(";"))}


_BY_PROTOCOL: dict[str, dict[int, str | None]] = {
    "tcp": {512: "exec", 513: "login", 514: "shell", 520: None},
    "udp": {512: "biff", 513: "who", 514: "syslog", 520: "router"},
}
"""Ports whose two protocols are two services in the registry."""

_NAMES = {int(port): names[0] for port, *names in map(str.split, _BY_PORT.split(";")) if names}
_IP_NAMES: dict[int, str] = {}
for _name, _value in _NUMBERS.items():
    _IP_NAMES.setdefault(_value, _name)


def name(port: int, protocol: str) -> str | None:
    """The registered name of a port, or of the IP protocol of a raw socket; None where there is
    none. ``protocol`` as in :func:`number`. A hint: who listens there may be anything."""
    if protocol.startswith("raw"):
        return _IP_NAMES.get(port)
    own = _BY_PROTOCOL["udp" if protocol.startswith("udp") else "tcp"]
    return own[port] if port in own else _NAMES.get(port)


def number(name: str, protocol: str) -> int | None:
    """The port of a service, upper or lower case; None where it is not known.

    ``protocol`` is one of those of a Socket. What stands in a raw socket's place of a port is an
    IP protocol, so there it is the number of that: ``ipv6-icmp`` is 58.
    """
    known = _NUMBERS if protocol.startswith("raw") else _PORTS
    return known.get(name.lower())

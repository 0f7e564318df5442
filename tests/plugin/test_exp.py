import sys, time
SRC = """
            import pytest
            from talk import *
            @pytest.mark.llmperf(rounds=5)
            @pytest.mark.latency(p50_ms=100)
            def test_a():
                ran("a"); ask()
            @pytest.mark.llmperf(rounds=5)
            async def test_b():
                ran("b"); await ask_async()
"""
def test_one(pytester, suite, monkeypatch):
    import builtins
    class Rec:
        names=[]
        def find_spec(self, name, path=None, target=None):
            self.names.append(name); return None
    rec=Rec()
    sys.meta_path.insert(0, rec)
    t=time.process_time()
    suite(SRC)
    t1=time.process_time()
    n1=list(rec.names); rec.names.clear()
    suite(SRC)
    t2=time.process_time()
    sys.meta_path.remove(rec)
    import cProfile,pstats,io
    p=cProfile.Profile(); p.enable(); suite(SRC); p.disable()
    s=io.StringIO(); pstats.Stats(p,stream=s).sort_stats("cumtime").print_stats(60)
    print(t1-t, t2-t1)
    print(len(n1), len(rec.names)); print(rec.names)
    open("/tmp/prof.txt","w").write(s.getvalue()); 
    assert 0
